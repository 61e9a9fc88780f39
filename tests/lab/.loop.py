import pexpect,sys,time,subprocess,os
g=sys.argv[1]; n=int(sys.argv[2]); cpus=sys.argv[3]; extra=sys.argv[4]
subprocess.run(['cp','--sparse=always',g+'/disk.img','/tmp/d.img'],check=True)
for i in range(n):
    t=time.time()
    c=pexpect.spawn('qemu-system-x86_64',['-M','q35','-accel','kvm','-cpu','host','-smp',cpus,'-m','512','-nodefaults','-no-user-config','-display','none','-serial','stdio','-no-reboot','-kernel',g+'/vmlinuz','-initrd',g+'/initrd.img','-append','console=ttyS0 root=/dev/vda '+extra,'-drive','file=/tmp/d.img,format=raw,if=none,id=d','-device','virtio-blk-pci,drive=d'],encoding='utf8',timeout=100)
    c.logfile_read=open('/work/main/tests/lab/.o/boot%d.log'%i,'w')
    try:
        c.expect('login: '); a=time.time()-t
        c.sendline('root'); c.expect('Password: '); c.sendline('vole'); c.expect('# ')
        t=time.time(); c.sendline('poweroff'); c.expect(pexpect.EOF); print('login %.1f off %.1f'%(a,time.time()-t),flush=True)
    except Exception as e:
        print('FAIL',i,type(e), open('/work/main/tests/lab/.o/boot%d.log'%i).read()[-1500:],flush=True); c.close(force=True); print(c.exitstatus, c.signalstatus)
